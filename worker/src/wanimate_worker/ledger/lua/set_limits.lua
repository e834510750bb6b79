-- Changes the account's limits for everyone, at once. The vendor's address changes only while nothing is sent and no task
-- is at the vendor: else tasks of one vendor would be asked about at another. The balance at the old one is forgotten.
-- KEYS: limits, gate, slots, balance, throttles
-- ARGV: the vendor's address, then all limits as pairs: field, value
-- Returns: 1, or 0 if that is refused because of the address; then nothing was changed
local address = redis.call('HGET', KEYS[1], 'api_base_url')
local is_drained = redis.call('HEXISTS', KEYS[2], 'held') == 1 and redis.call('ZCARD', KEYS[3]) == 0
if address and address ~= ARGV[1] and not is_drained then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
if address and address ~= ARGV[1] then
  redis.call('DEL', KEYS[4])
end
weigh_balance_again(KEYS[2], KEYS[4], limits_of(KEYS[1]))
-- What was seen with the old limits says nothing about the new ones.
redis.call('DEL', KEYS[5])
return 1
