-- The Postgres bus: a log and nothing more. declare_topic, trim_before and forget_group are the owner's.
CREATE TABLE bus.cluster (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    id uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO bus.cluster DEFAULT VALUES;

CREATE TABLE bus.topic (
    no integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    retention interval NOT NULL
);

-- The row lock on a head is what makes offsets become visible in order: it is held until the commit.
CREATE TABLE bus.head (
    topic_no integer NOT NULL REFERENCES bus.topic,
    partition integer NOT NULL,
    first_offset bigint NOT NULL DEFAULT 0,
    next_offset bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_no, partition)
) WITH (fillfactor = 20);

-- Messages of one partition as the client packed them; offsets are dense, the last one's is `last_offset`.
CREATE TABLE bus.block (
    topic_no integer NOT NULL,
    partition integer NOT NULL,
    last_offset bigint NOT NULL,
    day date NOT NULL,
    appended_at timestamptz NOT NULL,
    messages integer NOT NULL CHECK (messages BETWEEN 1 AND 1000),
    body bytea NOT NULL,
    PRIMARY KEY (topic_no, partition, last_offset, day)
) PARTITION BY RANGE (day);

CREATE TABLE bus.day (day date PRIMARY KEY);

CREATE TABLE bus.member (
    group_name text NOT NULL,
    topic_no integer NOT NULL REFERENCES bus.topic,
    member text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (group_name, topic_no, member)
) WITH (fillfactor = 50);

-- A lease is in force while its holder is a live member. `position` is how far the group says it has
-- come; what lies at or after it is never trimmed.
CREATE TABLE bus.lease (
    group_name text NOT NULL,
    topic_no integer NOT NULL,
    partition integer NOT NULL,
    holder text,
    epoch bigint NOT NULL DEFAULT 0,
    position bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (group_name, topic_no, partition),
    FOREIGN KEY (topic_no, partition) REFERENCES bus.head
) WITH (fillfactor = 50);

CREATE FUNCTION bus.today() RETURNS date LANGUAGE sql SET search_path = pg_catalog, pg_temp
    RETURN (clock_timestamp() AT TIME ZONE 'UTC')::date;

CREATE FUNCTION bus.ensure_day(p_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE v_name text := 'block_' || to_char(p_day, 'YYYYMMDD');
BEGIN
    IF EXISTS (SELECT FROM bus.day WHERE day = p_day) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('leadline.bus.day', 0));
    IF EXISTS (SELECT FROM bus.day WHERE day = p_day) THEN
        RETURN;
    END IF;
    -- Attached, not created as a partition: that would lock out everybody who reads or appends.
    EXECUTE format('CREATE TABLE bus.%I (LIKE bus.block INCLUDING ALL) WITH (toast_tuple_target = 8160)',
                   v_name);
    EXECUTE format('ALTER TABLE bus.block ATTACH PARTITION bus.%I FOR VALUES FROM (%L) TO (%L)',
                   v_name, p_day, p_day + 1);
    INSERT INTO bus.day VALUES (p_day);
END $$;

CREATE FUNCTION bus.declare_topic(p_name text, p_partitions integer, p_retention interval, p_groups text[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE v_no integer;
BEGIN
    INSERT INTO bus.topic (name, retention) VALUES (p_name, p_retention)
        ON CONFLICT (name) DO UPDATE SET retention = excluded.retention RETURNING no INTO v_no;
    IF EXISTS (SELECT FROM bus.head WHERE topic_no = v_no HAVING count(*) NOT IN (0, p_partitions)) THEN
        RAISE EXCEPTION 'topic % has another number of partitions; keys would change theirs', p_name;
    END IF;
    INSERT INTO bus.head (topic_no, partition)
        SELECT v_no, n FROM generate_series(0, p_partitions - 1) n ON CONFLICT DO NOTHING;
    -- From now on these groups hold the log back, also before their first member has come.
    INSERT INTO bus.lease (group_name, topic_no, partition)
        SELECT g, v_no, n FROM unnest(p_groups) g, generate_series(0, p_partitions - 1) n
        ON CONFLICT DO NOTHING;
END $$;

-- Appends blocks: place, number of messages and body of each, in order within a partition.
CREATE FUNCTION bus.append(p_topics text[], p_partitions integer[], p_counts integer[], p_bodies bytea[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_wanted integer;
    v_locked integer;
    v_day date;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'bus.append needs read committed: it must see the heads as they are once locked';
    END IF;
    SELECT count(DISTINCT (t, p)) INTO v_wanted FROM unnest(p_topics, p_partitions) AS i (t, p);
    WITH locked AS MATERIALIZED (
        SELECT FROM bus.head h
        WHERE (h.topic_no, h.partition) IN (
            SELECT t.no, i.p FROM unnest(p_topics, p_partitions) AS i (t, p) JOIN bus.topic t ON t.name = i.t)
        ORDER BY h.topic_no, h.partition FOR UPDATE
    ) SELECT count(*) INTO v_locked FROM locked;
    IF v_locked <> v_wanted THEN
        RAISE EXCEPTION 'append to a topic or partition that does not exist' USING ERRCODE = 'LB001';
    END IF;
    v_day := bus.today();
    PERFORM bus.ensure_day(v_day);
    INSERT INTO bus.block (topic_no, partition, last_offset, day, appended_at, messages, body)
        SELECT h.topic_no, h.partition,
               h.next_offset - 1 + sum(i.c) OVER (PARTITION BY h.topic_no, h.partition ORDER BY i.n),
               v_day, clock_timestamp(), i.c, i.b
        FROM unnest(p_topics, p_partitions, p_counts, p_bodies) WITH ORDINALITY AS i (t, p, c, b, n)
        JOIN bus.topic t ON t.name = i.t
        JOIN bus.head h ON h.topic_no = t.no AND h.partition = i.p;
    UPDATE bus.head h SET next_offset = h.next_offset + c.added
        FROM (SELECT t.no, i.p, sum(i.c) AS added
              FROM unnest(p_topics, p_partitions, p_counts) AS i (t, p, c) JOIN bus.topic t ON t.name = i.t
              GROUP BY t.no, i.p) c
        WHERE h.topic_no = c.no AND h.partition = c.p;
END $$;

-- Returns the blocks at the positions, about p_max messages; the first may begin before its position.
CREATE FUNCTION bus.fetch(p_topics text[], p_partitions integer[], p_positions bigint[], p_max integer)
RETURNS TABLE (topic text, partition integer, last_offset bigint, messages integer, body bytea,
               appended_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE v_lost text;
BEGIN
    RETURN QUERY
        -- Counted without the bodies, which are read of what is given alone; and without what lies before
        -- the position in its block, which the caller has had.
        SELECT f.t, f.partition, f.last_offset, f.messages, b.body, b.appended_at FROM (
            SELECT i.t, i.n, b.topic_no, b.partition, b.last_offset, b.day, b.messages,
                sum(least(b.messages, b.last_offset + 1 - i.o)) OVER (ORDER BY i.n, b.last_offset
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
            FROM unnest(p_topics, p_partitions, p_positions) WITH ORDINALITY AS i (t, p, o, n)
            JOIN bus.topic t ON t.name = i.t
            JOIN bus.block b ON b.topic_no = t.no AND b.partition = i.p
                AND b.last_offset >= i.o AND b.last_offset < i.o + p_max + 1000
            WHERE b.last_offset - b.messages < i.o + p_max) f
        JOIN bus.block b USING (topic_no, partition, last_offset, day)
        WHERE coalesce(f.before, 0) < p_max ORDER BY f.n, f.last_offset;
    -- Looked at after the messages, so that a trim in between is noticed rather than skipped over.
    SELECT concat_ws(' ', i.t, i.p, i.o, h.first_offset, h.next_offset) INTO v_lost
        FROM unnest(p_topics, p_partitions, p_positions) AS i (t, p, o)
        JOIN bus.topic t ON t.name = i.t
        JOIN bus.head h ON h.topic_no = t.no AND h.partition = i.p
        WHERE i.o < h.first_offset OR i.o > h.next_offset LIMIT 1;
    IF v_lost IS NOT NULL THEN
        RAISE EXCEPTION '%', v_lost USING ERRCODE = 'LB002';
    END IF;
END $$;

CREATE FUNCTION bus.heads(p_topic text)
RETURNS TABLE (partition integer, first_offset bigint, next_offset bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT h.partition, h.first_offset, h.next_offset
        FROM bus.head h JOIN bus.topic t ON t.no = h.topic_no WHERE t.name = p_topic;
END;

CREATE FUNCTION bus.identity() RETURNS TABLE (cluster text, topic text, topic_id text, partitions integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT c.id::text, t.name, t.id::text, (SELECT count(*) FROM bus.head h WHERE h.topic_no = t.no)::integer
        FROM bus.cluster c, bus.topic t;
END;

CREATE FUNCTION bus.join(p_group text, p_topics text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    INSERT INTO bus.lease (group_name, topic_no, partition, position)
        SELECT p_group, h.topic_no, h.partition, h.first_offset
        FROM bus.head h JOIN bus.topic t ON t.no = h.topic_no WHERE t.name = ANY (p_topics)
        ON CONFLICT DO NOTHING;
END;

-- Keeps the member alive, reports how far it has come, and shares each topic's partitions fairly among
-- the live members: gives up what is over the quota, takes what nobody alive holds. Returns what it holds.
CREATE FUNCTION bus.renew(p_group text, p_member text, p_topics text[], p_lease_seconds double precision,
                          r_topics text[], r_partitions integer[], r_positions bigint[])
RETURNS TABLE (topic text, partition integer, epoch bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    v_topic integer;
    v_quota integer;
    v_now timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('leadline.bus.group.' || p_group, 0));
    v_now := clock_timestamp();
    DELETE FROM bus.member WHERE group_name = p_group AND expires_at < v_now AND member <> p_member;
    INSERT INTO bus.member (group_name, topic_no, member, expires_at)
        SELECT p_group, t.no, p_member, v_now + make_interval(secs => p_lease_seconds)
        FROM bus.topic t WHERE t.name = ANY (p_topics)
        ON CONFLICT (group_name, topic_no, member) DO UPDATE SET expires_at = excluded.expires_at;
    UPDATE bus.lease l SET position = r.o
        FROM unnest(r_topics, r_partitions, r_positions) AS r (t, p, o) JOIN bus.topic t ON t.name = r.t
        WHERE l.group_name = p_group AND l.topic_no = t.no AND l.partition = r.p
          AND l.holder = p_member AND l.position < r.o;
    UPDATE bus.lease l SET holder = NULL
        WHERE l.group_name = p_group AND l.holder IS NOT NULL AND NOT EXISTS (
            SELECT FROM bus.member m
            WHERE m.group_name = p_group AND m.topic_no = l.topic_no AND m.member = l.holder);
    FOR v_topic IN SELECT t.no FROM bus.topic t WHERE t.name = ANY (p_topics) ORDER BY t.no LOOP
        SELECT parts / members + (below < parts % members)::integer INTO v_quota FROM
            (SELECT count(*) AS parts FROM bus.lease l WHERE l.group_name = p_group AND l.topic_no = v_topic) p,
            (SELECT count(*) AS members, count(*) FILTER (WHERE m.member < p_member) AS below
             FROM bus.member m WHERE m.group_name = p_group AND m.topic_no = v_topic) m;
        WITH ranked AS (
            SELECT l.partition, l.holder, row_number() OVER (ORDER BY l.holder NULLS LAST, l.partition) AS n
            FROM bus.lease l WHERE l.group_name = p_group AND l.topic_no = v_topic
              AND (l.holder = p_member OR l.holder IS NULL))
        UPDATE bus.lease l
            SET holder = CASE WHEN k.n <= v_quota THEN p_member END,
                epoch = l.epoch + (k.n <= v_quota)::integer
            FROM ranked k
            WHERE l.group_name = p_group AND l.topic_no = v_topic AND l.partition = k.partition
              AND (k.n <= v_quota) <> (k.holder IS NOT NULL);
    END LOOP;
    RETURN QUERY SELECT t.name, l.partition, l.epoch FROM bus.lease l JOIN bus.topic t ON t.no = l.topic_no
        WHERE l.group_name = p_group AND l.holder = p_member AND t.name = ANY (p_topics);
END $$;

CREATE FUNCTION bus.leave(p_group text, p_member text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT pg_advisory_xact_lock(hashtextextended('leadline.bus.group.' || p_group, 0));
    DELETE FROM bus.member WHERE group_name = p_group AND member = p_member;
    UPDATE bus.lease SET holder = NULL WHERE group_name = p_group AND holder = p_member;
END;

-- Drops whole days before `p_before`, oldest first, and stops at the first day that some group still needs.
CREATE FUNCTION bus.trim_before(p_before date) RETURNS TABLE (day date, dropped boolean, held_by text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM bus.day d WHERE d.day < p_before) THEN RETURN; END IF;
    -- Heads first, as append does: the drop waits for appenders, so they must not wait for us half-way.
    PERFORM FROM bus.head ORDER BY topic_no, partition FOR UPDATE;
    FOR day IN SELECT d.day FROM bus.day d WHERE d.day < p_before ORDER BY d.day LOOP
        WITH last AS (
            SELECT h.topic_no, h.partition, (
                SELECT max(b.last_offset) FROM bus.block b
                WHERE b.topic_no = h.topic_no AND b.partition = h.partition AND b.day = trim_before.day) AS o
            FROM bus.head h)
        SELECT string_agg(DISTINCT blocker, ', ') INTO held_by FROM (
            SELECT format('group %s at %s of %s/%s', l.group_name, l.position, t.name, l.partition)
            FROM last JOIN bus.lease l USING (topic_no, partition) JOIN bus.topic t ON t.no = l.topic_no
            WHERE l.position <= last.o
            UNION ALL  -- a clock set back put lower offsets into a later day
            SELECT format('later day of %s/%s', last.topic_no, last.partition) FROM last
            WHERE EXISTS (SELECT FROM bus.block b WHERE b.topic_no = last.topic_no
                          AND b.partition = last.partition AND b.last_offset < last.o
                          AND b.day > trim_before.day)) AS b (blocker);
        dropped := held_by IS NULL;
        IF dropped THEN
            UPDATE bus.head h SET first_offset = b.o + 1 FROM (
                SELECT topic_no, partition, max(last_offset) AS o FROM bus.block
                WHERE day = trim_before.day GROUP BY topic_no, partition) b
                WHERE h.topic_no = b.topic_no AND h.partition = b.partition;
            EXECUTE format('DROP TABLE bus.%I', 'block_' || to_char(day, 'YYYYMMDD'));
            DELETE FROM bus.day d WHERE d.day = trim_before.day;
        END IF;
        RETURN NEXT;
        EXIT WHEN NOT dropped;
    END LOOP;
END $$;

CREATE FUNCTION bus.trim() RETURNS TABLE (day date, dropped boolean, held_by text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM bus.ensure_day(bus.today()), bus.ensure_day(bus.today() + 1);
    RETURN QUERY SELECT * FROM bus.trim_before((bus.today() - (SELECT max(t.retention) FROM bus.topic t))::date);
END $$;

CREATE FUNCTION bus.forget_group(p_group text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    DELETE FROM bus.member WHERE group_name = p_group;
    DELETE FROM bus.lease WHERE group_name = p_group;
END;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA bus FROM PUBLIC;
