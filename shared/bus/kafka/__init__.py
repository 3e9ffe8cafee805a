"""The bus on Apache Kafka: for those who outgrow one machine."""
