"""The least that a Lambda function with FastAPI, Mangum and boto3 can be: one route, one GetItem."""

from __future__ import annotations

import os

import boto3
from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()
dynamodb = boto3.client("dynamodb")


@app.get("/api/v1/analysis/batch/{batch_id}/status")
def status(batch_id: str) -> dict[str, str]:
    key = {"pk": {"S": f"BATCH#{batch_id}"}, "sk": {"S": "META"}}
    row = dynamodb.get_item(TableName=os.environ["SYNC_AWS_TABLE"], Key=key, ConsistentRead=True)["Item"]
    return {"batch_id": row["batch_id"]["S"], "status": row["status"]["S"]}


handler = Mangum(app, lifespan="off")
