-- What the vendor probably bills, by day (UTC): the field DAY in all, and 'DAY name=value' for each label. Of a day, the
-- first 100 values of a name and the first 400 labels have fields; further values are added up in 'DAY name', further names
-- in 'DAY '. 'DAY#name' and 'DAY#' count the labels that have fields. `billed` has ms of video; `spent` the same fields
-- in money, whole micro-dollars, at the price of the moment, where one was known.
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

-- Returns the fields of a day that a job's labels are added to, and new values of the counts of labels.
local function label_fields(day, labels)
  local names, fields, counts, amounts, known = {}, {table.concat({day, '#'})}, {}, {}, {}
  for i, label in ipairs(labels) do
    names[i] = string.match(label, '^[^=]*')
    append(fields, {table.concat({day, label}, ' '), table.concat({day, '#', names[i]})})
  end
  for i, old in ipairs(redis.call('HMGET', billed, unpack(fields))) do
    counts[fields[i]], known[fields[i]] = tonumber(old) or 0, old and true
  end
  local taken, is_taken = {}, {}
  for i, name in ipairs(names) do
    local field, of_name = fields[2 * i], fields[2 * i + 1]
    if not known[field] then
      if counts[of_name] < 100 and counts[fields[1]] < 400 then
        for _, counted in ipairs({fields[1], of_name}) do
          counts[counted], amounts[counted] = counts[counted] + 1, (amounts[counted] or 0) + 1
        end
      else
        field = table.concat({day, ' ', counts[of_name] > 0 and name or ''})
      end
    end
    if not is_taken[field] then
      is_taken[field], taken[#taken + 1] = true, field
    end
  end
  return taken, amounts
end

-- Adds a submission to its day, and returns what takes it back: the ms of video and the fields it was added to (JSON).
local function bill(ms, micro_usd, labels)
  local day = day_of(now_ms())
  local taken, others = {ms, day}, {}
  if #labels > 0 then
    local fields, amounts = label_fields(day, labels)
    append(taken, fields)
    for field, amount in pairs(amounts) do
      append(others, {field, amount})
    end
  end
  add_to_day(billed, taken, ms, others)
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
