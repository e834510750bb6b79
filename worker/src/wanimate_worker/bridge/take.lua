-- Take the next message and note that a worker holds it, in one step.
-- KEYS: 1 held messages (hash), 2 their index (sorted set), 3… lists, the most urgent first
-- ARGV: for each list, the name of its queue
-- Returns nil if all are empty, or: queue, delivery tag, the message as it was in its list.
-- A note is in kombu's form: the message, its exchange, its queue. What is no message gets a tag of its own.
-- Under `maxmemory` Redis refuses what needs memory only as the first write of a script; the RPOP comes before it.
if redis.call('EXISTS', unpack(KEYS, 3)) == 0 then
    return false
end
local now = redis.call('TIME')
for i = 3, #KEYS do
    local item = redis.call('RPOP', KEYS[i])
    if item then
        local queue = ARGV[i - 2]
        local is_json, message = pcall(cjson.decode, item)
        local properties = is_json and type(message) == 'table' and message.properties
        local tag = type(properties) == 'table' and properties.delivery_tag
        if type(tag) ~= 'string' then
            tag = 'odd-' .. now[1] .. '-' .. now[2]
        end
        redis.call('ZADD', KEYS[2], now[1] .. '.' .. string.format('%06d', now[2]), tag)
        redis.call('HSET', KEYS[1], tag, '[' .. item .. ',"",' .. cjson.encode(queue) .. ']')
        return {queue, tag, item}
    end
end
return false
