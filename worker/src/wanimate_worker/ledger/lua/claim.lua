-- Claims jobs whose time has come. A claimed job stays in the clock with its score moved to the end of the lease:
-- whoever dies with it, somebody looks again. That score is the fencing token.
-- KEYS: due
-- ARGV: most jobs, lease (ms)
-- Returns: {token, job ids...}
local now = now_ms()
local token = now + tonumber(ARGV[2])
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
if #ids > 0 then
  local leased = {}
  for i, id in ipairs(ids) do
    leased[2 * i - 1], leased[2 * i] = token, id
  end
  redis.call('ZADD', KEYS[1], unpack(leased))
end
table.insert(ids, 1, whole(token))
return ids
