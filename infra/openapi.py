"""Print the API's description, as the routes and their models make it."""  # noqa: INP001 - a script

from __future__ import annotations

import json

from handlers.api.main import app

if __name__ == "__main__":
    print(json.dumps(app.openapi(), indent=1))
