#!/bin/sh
# Moves the environment that uv made to /image, and leaves nothing in it that one build has and the next has otherwise.
set -eu
cd /opt/wanimate
# For people in a shell, or uv's own: activation scripts, the lock that anybody may write to, when a package was built.
rm -rf bin/activate* bin/deactivate* bin/pydoc.bat bin/__pycache__ .lock .gitignore CACHEDIR.TAG
find lib -name uv_cache.json -delete
find lib -path '*.dist-info/RECORD' -exec sed -i '/\/uv_cache.json,/d' {} +
# Bytecode with a hash that is never compared with its source: no time is in it, and no process looks for one.
find lib -name '*.pyc' -delete
python -m compileall -q --invalidation-mode unchecked-hash lib
mkdir -p /image/opt
mv /opt/wanimate /image/opt/wanimate
find /image -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
