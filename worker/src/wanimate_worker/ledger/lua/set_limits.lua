-- Changes the account's limits for all workers, pairs of field and value, or only fills them where none are known, and
-- those addresses that no worker has named. The vendor's address changes only while submissions are paused and no slot
-- is held: else tasks of one vendor would be polled at another. The balance at the old one is dropped.
-- Keys: slots, throttles
-- Uses: balance
-- Returns: whether they were changed; not because of the address, or because they are known
local known = read_account()
local is_elsewhere = known.api_base_url and known.api_base_url ~= address
if is_elsewhere and (not known.paused or redis.call('ZCARD', slots) > 0) then
  return false
end
if fills and read_limits() then
  -- Of an older version, or from workers that named none.
  for i = 1, #fields, 2 do
    local is_address = fields[i] == 'webhook_url' or fields[i] == 'keep_url'
    if is_address and not known[fields[i]] then
      set_account({[fields[i]] = fields[i + 1]})
    end
  end
  return false
end
write_limits(fields)
if is_elsewhere then
  redis.call('DEL', balance)
end
weigh_balance(read_limits())
-- What was seen with the old limits says nothing about the new ones.
redis.call('DEL', throttles)
return true
