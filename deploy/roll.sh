#!/bin/sh
# Replaces the workers by those of another image without a pause: as many new ones start beside the old ones, and only
# when they answer do the old ones stop, one after the other. Then the rest is replaced. Run it in the root of the
# repository after setting WANIMATE_IMAGE in .env, or after `docker compose build`.
set -eu

patience_seconds=120

old=$(docker compose ps --quiet worker)
count=$(echo "$old" | grep -c . || true)
if [ "$count" -eq 0 ]; then
    echo "roll: no worker runs here; start with: docker compose up -d" >&2
    exit 2
fi

docker compose up -d --no-deps --no-recreate --scale "worker=$((2 * count))" worker
for container in $(docker compose ps --quiet worker); do
    case "$old" in *"$container"*) continue ;; esac
    waited=0
    until docker exec "$container" wanimate-health > /dev/null 2>&1; do
        waited=$((waited + 1))
        if [ "$waited" -ge "$patience_seconds" ]; then
            echo "roll: new worker $container does not answer; see: docker logs $container" >&2
            echo "roll: the old workers go on. To go back, set the old image and run: docker compose up -d" >&2
            exit 1
        fi
        sleep 1
    done
done

# Each finishes the requests under way first.
for container in $old; do
    docker stop "$container" > /dev/null
    docker rm "$container" > /dev/null
done
docker compose up -d --no-build --scale "worker=$count"
