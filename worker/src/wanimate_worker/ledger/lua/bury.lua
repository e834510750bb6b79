-- Keeps a message that nobody could use. The letters are numbered, and the newest are kept.
-- KEYS: dead
-- ARGV: letter (JSON), how many are kept, time to live of the list (ms)
-- Returns: the letter's number, so how many there were since the list was last empty
local newest = redis.call('LINDEX', KEYS[1], 0)
local number = 1
if newest then
  number = (tonumber(string.match(newest, '^%d+')) or 0) + 1
end
redis.call('LPUSH', KEYS[1], table.concat({number, ARGV[1]}, ' '))
redis.call('LTRIM', KEYS[1], 0, tonumber(ARGV[2]) - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return number
