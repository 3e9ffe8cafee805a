"""The reference of ingest: a FastAPI route that reads the body and answers, under the product's own uvicorn.

`python -m benchmarks.echo PORT`. It checks nothing and keeps nothing.
"""

import asyncio
import sys

from fastapi import FastAPI, Request, Response

from shared.http_server import ApiServer
from shared.process import listen, run_process

# Without FastAPI's own hooks for traces and metrics, which would make it slower.
app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
ANSWER = b'{"success":true}'


@app.post("/v1/track")
async def echo(request: Request) -> Response:
    await request.body()
    return Response(ANSWER, media_type="application/json")


async def main(stop: asyncio.Event) -> None:
    await ApiServer(app, listen("127.0.0.1", int(sys.argv[1]))).run(stop)


if __name__ == "__main__":
    sys.exit(run_process(main))
