#!/bin/sh
# build-lambda.sh PYTHON FOLDER: put the code of the Lambda functions into a folder, with what it imports and no more.
set -eu
install() {
    "$python" -m pip install --quiet --disable-pip-version-check --target "$folder" "$@"
}
python=$1 folder=$2

install --requirement infra/lambda-requirements.txt \
    --platform manylinux2014_x86_64 --python-version 3.11 --only-binary :all:
rm -rf build # where setuptools would keep modules that are no more
install --no-deps .
rm -rf build
# botocore describes all of AWS in 25 MB; the functions speak to four services
find "$folder/botocore/data" -mindepth 1 -maxdepth 1 -type d ! -name dynamodb ! -name s3 ! -name secretsmanager ! -name sqs -exec rm -rf {} +
find "$folder" -name __pycache__ -type d -prune -exec rm -rf {} +
