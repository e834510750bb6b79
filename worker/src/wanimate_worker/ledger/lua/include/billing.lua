-- What the vendor probably bills, by day (UTC): the field DAY in all, and 'DAY name=value' for each label. Labels beyond
-- the first 200 of a day are added up in 'DAY '; 'DAY#' counts those that are not. `billed` has ms of video; `spent` the
-- same fields in money, whole micro-dollars, at the price of the moment, where one was known.
-- Keys: billed, spent, balance
-- Uses: counters, account
local function day_of(now)
  return whole(math.floor(now / 86400000))
end

-- Returns what a submission costs; nothing where its price is not known. A job that names no resolution is 480p.
local function cost_of(known, request, ms)
  local price = known.price_480p_micro_usd
  if known.price_720p_micro_usd and cjson.decode(request).resolution == '720p' then
    price = known.price_720p_micro_usd
  end
  return price and math.floor(ms * price / 1000 + 0.5)
end

-- Adds an amount to the fields that a submission was added to, all of `taken` but the first, and other amounts.
local function add_to_day(counts, taken, amount, others)
  local amounts = others or {}
  for i = 2, #taken do
    append(amounts, {taken[i], amount})
  end
  count(counts, amounts)
end

-- Adds a submission to its day, and returns what takes it back: the ms of video and the fields it was added to (JSON).
local function bill(ms, micro_usd, labels)
  local day = day_of(now_ms())
  local names, taken, added, is_full = {table.concat({day, '#'})}, {ms, day}, 0, false
  for _, label in ipairs(labels) do
    names[#names + 1] = table.concat({day, label}, ' ')
  end
  local old = #labels > 0 and redis.call('HMGET', billed, unpack(names)) or {}
  for i = 2, #names do
    if old[i] or (tonumber(old[1]) or 0) + added < 200 then
      added = added + (old[i] and 0 or 1)
      taken[#taken + 1] = names[i]
    else
      is_full = true
    end
  end
  if is_full then
    taken[#taken + 1] = table.concat({day, ' '})
  end
  add_to_day(billed, taken, ms, added > 0 and {names[1], added})
  if micro_usd then
    add_to_day(spent, taken, micro_usd)
  end
  return cjson.encode(taken)
end

-- Adds what a submission was billed with to the totals: it was accepted, or may have been. A reading of the balance that
-- is asked for later knows it.
local function count_billed(record)
  local amounts = {}
  if record.billed then
    amounts[1], amounts[2] = 'billed_ms', cjson.decode(record.billed)[1]
  end
  if record.billed_micro_usd then
    append(amounts, {'billed_micro_usd', tonumber(record.billed_micro_usd)})
    redis.call('HINCRBY', balance, 'answered_micro_usd', record.billed_micro_usd)
  end
  if #amounts > 0 then
    count(counters, amounts)
  end
end

-- Whether a submission would bring its day past a limit, of ms of video or of money.
local function is_over_day(known, ms, micro_usd)
  local day = day_of(now_ms())
  local function passes(counts, most, amount)
    return most and (tonumber(redis.call('HGET', counts, day)) or 0) + amount > most
  end
  return passes(billed, known.daily_billed_ms, ms) or passes(spent, known.daily_billed_micro_usd, micro_usd or 0)
end

-- The vendor surely did not accept a submission: refunds its estimate to its day, and opens the gate again if the
-- day's limit had closed it.
local function refund(record, was_answered)
  local taken, micro_usd = cjson.decode(record.billed), record.billed_micro_usd
  if redis.call('HEXISTS', billed, taken[2]) == 1 then
    add_to_day(billed, taken, -taken[1])
  end
  if micro_usd and redis.call('HEXISTS', spent, taken[2]) == 1 then
    add_to_day(spent, taken, -micro_usd)
  end
  if micro_usd and redis.call('HEXISTS', balance, 'sent_micro_usd') == 1 then
    redis.call('HINCRBY', balance, 'sent_micro_usd', -micro_usd)
    if was_answered then
      redis.call('HINCRBY', balance, 'answered_micro_usd', -micro_usd)
    end
  end
  clear_account(DAY_LIMIT)
end
