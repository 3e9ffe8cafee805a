"""The reference of batches on Kafka: a FastAPI route that sends each event by itself and waits for all.

`python -m benchmarks.gather PORT BOOTSTRAP TOPIC`. It checks nothing; its producer has large batches.
"""

import asyncio
import sys
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request, Response

from shared.bus.kafka.options import MAX_BATCH_BYTES
from shared.http_server import ApiServer
from shared.process import listen, run_process

app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
ANSWER = b'{"success":true}'


@app.post("/v1/batch")
async def gather(request: Request) -> Response:
    batch = orjson.loads(await request.body())["batch"]
    producer: Any = app.state.producer
    await asyncio.gather(
        *(
            producer.send_and_wait(app.state.topic, orjson.dumps(event), key=event["anonymousId"].encode())
            for event in batch
        )
    )
    return Response(ANSWER, media_type="application/json")


async def main(stop: asyncio.Event) -> None:
    port, bootstrap, topic = sys.argv[1:]
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", enable_idempotence=False, max_batch_size=MAX_BATCH_BYTES
    )
    await producer.start()
    app.state.producer, app.state.topic = producer, topic
    try:
        await ApiServer(app, listen("127.0.0.1", int(port))).run(stop)
    finally:
        await producer.stop()


if __name__ == "__main__":
    sys.exit(run_process(main))
