#!/bin/sh
# Lays out the files for the OSS bucket of Alibaba Cloud DMS Airflow in a new folder:
#   sh include/dms-airflow/lay_out.sh FOLDER
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
to=${1:?give the folder to make}
mkdir "$to"
mkdir "$to/plugins"
cp -R "$here/dags" "$to/dags"
cp -R "$here/plugins/rescind" "$here/plugins/rescind_plugin.py" "$here/plugins/.airflowignore" "$to/plugins/"
mkdir "$to/plugins/include"
cp -R "$here/include/policies" "$here/include/config" "$here/include/examples" "$here/include/pools.json" "$to/plugins/include/"
cp "$here/include/dms-airflow/requirements.txt" "$to/"
find "$to" -name __pycache__ -prune -exec rm -rf {} +
