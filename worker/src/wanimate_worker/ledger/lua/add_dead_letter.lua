-- Keeps a message that could not be used. The letters (JSON) are numbered, and the newest are kept.
-- Keys: dead
-- Settings: failed_ttl_ms
-- Returns: the letter's number, so how many there were since the list was last empty
local newest = redis.call('LINDEX', dead, 0)
local number = 1
if newest then
  number = (tonumber(string.match(newest, '^%d+')) or 0) + 1
end
redis.call('LPUSH', dead, table.concat({number, letter}, ' '))
redis.call('LTRIM', dead, 0, most - 1)
redis.call('PEXPIRE', dead, failed_ttl_ms)
return number
