-- Changes the account's limits for everyone, at once, pairs of field and value. The vendor's address changes only while
-- nothing is sent and no task is at the vendor: else tasks of one vendor would be asked about at another. The balance at the
-- old one is forgotten.
-- Keys: slots, throttles
-- Uses: limits, balance
-- Returns: whether they were changed; not because of the address
local known = redis.call('HGET', limits, 'api_base_url')
local is_elsewhere = known and known ~= address
if is_elsewhere and (not gate_state().held or redis.call('ZCARD', slots) > 0) then
  return false
end
redis.call('HSET', limits, unpack(fields))
if is_elsewhere then
  redis.call('DEL', balance)
end
weigh_balance_again(read_limits())
-- What was seen with the old limits says nothing about the new ones.
redis.call('DEL', throttles)
return true
