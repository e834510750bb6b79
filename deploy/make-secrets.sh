#!/bin/sh
# Makes what docker-compose.yml needs: .env from .env.example, and secrets/ with random passwords and the simulator's key.
# Run it in the root of the repository. What exists is kept, so it may be run again. Prints no secret.
set -eu

folder="${SECRETS_DIR:-secrets}"

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# Writes a secret unless it exists. Containers run as users of their own, and Compose mounts the file as it is: so all may
# read the file, and only its owner may enter the folder.
secret() {
    if [ ! -e "$folder/$1" ]; then
        printf '%s\n' "$2" > "$folder/$1"
        chmod 444 "$folder/$1"
    fi
}

mkdir -p "$folder"
chmod 700 "$folder"
secret redis_password "$(random)"
secret wanimate_redis_url "redis://:$(cat "$folder/redis_password")@redis:6379/0"
secret wanimate_api_key simulator-key
secret wanimate_callback_secret "$(random)"
secret wanimate_webhook_secret "whsec_$(head -c 32 /dev/urandom | base64 | tr -d '\n')"
secret wanimate_flower_auth "admin:$(random)"
# Prometheus needs the password alone.
secret ops_password "$(random)"
secret wanimate_ops_auth "admin:$(cat "$folder/ops_password")"
secret grafana_password "$(random)"
[ -e .env ] || cp .env.example .env

echo "made .env and $folder/; the API key is in $folder/wanimate_api_key, Flower's name and password in" \
    "$folder/wanimate_flower_auth, those of the limits page in $folder/wanimate_ops_auth"
