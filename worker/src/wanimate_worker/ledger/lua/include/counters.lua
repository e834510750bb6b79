-- Totals, for metrics.
-- Keys: counters
local COUNTS_TTL_MS = 40 * 86400000
local WEBHOOK_EDGES_MS = {50, 100, 250, 500, 1000, 5000, 30000, 300000, 3600000, 86400000}
local LAG_EDGES_MS = {50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000}
local TOOK_EDGES_MS = {1000, 2500, 5000, 10000, 20000, 30000, 45000, 60000, 90000, 120000, 180000, 300000, 600000, 1800000}

-- Adds to fields of a hash, pairs of field and amount; a new field renews the time to live of the hash. One command for
-- one field, two for more.
local function count(counts, amounts)
  if #amounts == 2 then
    if redis.call('HINCRBY', counts, amounts[1], amounts[2]) == amounts[2] then
      redis.call('PEXPIRE', counts, COUNTS_TTL_MS)
    end
    return
  end
  local names, is_new = {}, false
  for i = 1, #amounts, 2 do
    names[#names + 1] = amounts[i]
  end
  local old = redis.call('HMGET', counts, unpack(names))
  for i = 1, #names do
    is_new = is_new or not old[i]
    amounts[2 * i] = whole((tonumber(old[i]) or 0) + amounts[2 * i])
  end
  redis.call('HSET', counts, unpack(amounts))
  if is_new then
    redis.call('PEXPIRE', counts, COUNTS_TTL_MS)
  end
end

-- Adds the pairs that count a time (ms) in a histogram: the bucket by its upper edge, and the sum.
local function observe(amounts, name, edges, ms)
  local edge = 'inf'
  for i = #edges, 1, -1 do
    if ms > edges[i] then
      break
    end
    edge = whole(edges[i])
  end
  append(amounts, {table.concat({name, edge}, ':'), 1, table.concat({name, 'ms'}, ':'), ms})
end
