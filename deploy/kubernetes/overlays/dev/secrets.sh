#!/bin/sh
# Makes the files in secrets/ beside it: random passwords, and the simulator's key. What exists is kept, so it may be run
# again. Prints no secret.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

secret() {
    [ -e "secrets/$1" ] || printf '%s' "$2" > "secrets/$1"
}

secret redis_password "$(random)"
secret wanimate_redis_url "redis://:$(cat secrets/redis_password)@redis:6379/0"
secret wanimate_api_key simulator-key
secret wanimate_callback_secret "$(random)"
secret wanimate_webhook_secret "whsec_$(head -c 32 /dev/urandom | base64 | tr -d '\n')"
secret wanimate_ops_auth "admin:$(random)"
secret wanimate_flower_auth "admin:$(random)"
echo "made secrets/; names and passwords are in secrets/wanimate_ops_auth and secrets/wanimate_flower_auth"
