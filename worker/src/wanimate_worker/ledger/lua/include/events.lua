-- The end of a job as an event: in the stream, and as a webhook, if the job or the account has an address for it.
-- Keys: events, deliveries, outbox, successors, dead_webhooks
-- Uses: account

-- What an event is made of, beside its outcome. A script that ends a job reads it with the record.
local OF_EVENT = {'request', 'attempts', 'waiting_at_ms', 'submitted_at_ms', 'billed_micro_usd', 'event_id'}

-- Returns what an event contains of a request, as JSON, and where the webhook goes, if anywhere. It contains neither
-- URLs nor the prompt: events are read by more people than jobs.
local function told_of(request)
  local is_json, asked = pcall(cjson.decode, request or '{}')
  asked = is_json and asked or {}
  local shown = {labels = asked.labels, type = asked.type, resolution = asked.resolution, video_seconds = asked.video_seconds}
  return cjson.encode(shown), asked.webhook_url or address_of('webhook_url')
end

-- Writes the webhook of an event. It waits for that of the job's event before, if that is still to be delivered.
local function write_webhook(url, event_id, fields, before)
  redis.call('HSET', deliveries, event_id, cjson.encode({url = url, fields = fields}))
  if before and redis.call('HEXISTS', deliveries, before) == 1 and not redis.call('ZSCORE', dead_webhooks, before) then
    redis.call('HSET', successors, before, event_id)
  else
    redis.call('ZADD', outbox, now_ms(), event_id)
  end
end

-- Writes the event of a job that ends now, with its outcome (JSON), and returns its id.
local function write_event(record, told_outcome)
  local request, url = told_of(record.request)
  local fields = {job_id = job_id, outcome = told_outcome, request = request, settled_at_ms = whole(now_ms())}
  for _, name in ipairs({'attempts', 'waiting_at_ms', 'submitted_at_ms', 'billed_micro_usd'}) do
    fields[name] = record[name]
  end
  local parts = {}
  for name, value in pairs(fields) do
    append(parts, {name, value})
  end
  local kept = whole(read_account().events_kept or 100000)
  local event_id = redis.call('XADD', events, 'MAXLEN', '~', kept, '*', unpack(parts))
  if url then
    write_webhook(url, event_id, fields, record.event_id)
  end
  return event_id
end
