"""What processes are told in the cloud is what they can be told, and all of it."""

from __future__ import annotations

import pytest

from handlers.settings import CommonSettings, DropFolderSettings, LambdaSettings, WebhookSettings, WorkerSettings
from tests.template.resources import Stack, text_of

LEFT_OUT = {
    "data_dir": "belongs to the embedded back end",
    "drop_dir": "is watched by `serve`; here it is the bucket's drop/",
    "tolerance_seconds": "unset means one video frame",
    "model_dir": "the image says where its models are",
    "ai_device": "auto takes the GPU that the task is given",
    "ai_budget_seconds": "is for workers without a GPU",
    "ai_hidden_layer": "unset means the sixth",
    "webhook_secrets": "Secrets Manager keeps them, and the function is told where",
}
KINDS = [LambdaSettings, DropFolderSettings, CommonSettings, WebhookSettings, WorkerSettings]


def environments(stack: Stack) -> dict[type[CommonSettings], dict[str, object]]:
    return {
        LambdaSettings: stack.function_environment("ApiFunction"),
        DropFolderSettings: stack.function_environment("DropFunction"),
        CommonSettings: stack.function_environment("SweeperFunction"),
        WebhookSettings: stack.function_environment("WebhooksFunction"),
        WorkerSettings: stack.worker_environment(),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_is_a_setting_and_every_setting_is_named(stack: Stack, kind: type[CommonSettings]):
    named = {name for name in environments(stack)[kind] if name.startswith("SYNC_")}
    fields = {f"SYNC_{name.upper()}" for name in kind.model_fields if name not in LEFT_OUT}
    assert named == fields, "name it in template.yaml, or say in LEFT_OUT why it is left out"


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_is_one_that_the_process_takes(monkeypatch, stack: Stack, kind: type[CommonSettings]):
    for name, value in environments(stack)[kind].items():
        monkeypatch.setenv(name, _without_parameters(stack, value))
    settings = kind()
    assert settings.backend == "aws"
    assert len(settings.aws_queues) == len(settings.aws_dead_letters) == 3


def _without_parameters(stack: Stack, value: object) -> str:
    """Give a value as it is if the stack is made with its defaults."""
    match value:
        case {"Fn::If": [_, _, otherwise]}:
            return _without_parameters(stack, otherwise)
        case {"Fn::Sub": str(text)}:
            return text
        case {"Ref": name}:
            return stack.source["Parameters"].get(name, {}).get("Default", "resource")
    return value if isinstance(value, str) else "resource"


def test_nothing_secret_is_in_an_environment(stack: Stack):
    references = [{"Ref": name} for name in stack.of_type("AWS::SecretsManager::Secret")]
    for environment in environments(stack).values():
        suspects = [name for name in environment if "SECRET" in name or "TOKEN" in name or "PASSWORD" in name]
        assert all(environment[name] in references for name in suspects)
        assert "resolve:secretsmanager" not in text_of(environment)
