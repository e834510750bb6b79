-- Records the balance, or why it could not be read; a failed reading keeps the last one. Blocks submissions if the
-- balance is below the threshold, or lets them resume.
-- Uses: balance
-- Returns: {1 if submissions were stopped by the balance before, the same for now, 1 if the account is suspended for lack
--          of credit, 1 if this reason why it could not be read is another one than before}
local now, known = now_ms(), read_account()
local is_empty = known.suspended and known.suspended_for == 'credit'
local was_stopped = known.low_balance_need
local is_news = why ~= '' and redis.call('HGET', balance, 'why') ~= why
if micro_usd then
  redis.call('HSET', balance, 'micro_usd', whole(micro_usd), 'at_ms', whole(now), 'sent_before_micro_usd',
    whole(answered_micro_usd))
  redis.call('HDEL', balance, 'why')
else
  local next_at = math.max(tonumber(redis.call('HGET', balance, 'next_at_ms')) or 0, now + again_ms)
  redis.call('HSET', balance, 'why', why, 'next_at_ms', whole(next_at))
end
if read_limits() then
  weigh_balance(known)
end
return {was_stopped and 1 or 0, known.low_balance_need and 1 or 0, is_empty and 1 or 0, is_news and 1 or 0}
