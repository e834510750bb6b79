-- Take the next message and note that a worker holds it, in one step.
-- KEYS: 1 held messages (hash), 2 their index (sorted set), 3… lists, the most urgent first
-- ARGV: for each list, the name of its queue
-- Returns nil if all are empty, or: queue, delivery tag, the message as it was in its list.
-- What is no message gets a tag, and is noted in an envelope, so that it can be given back like any other.
-- Under `maxmemory` Redis refuses what needs memory only as the first write of a script; the RPOP comes before it.
local function text(value)
    return type(value) == 'string' and value or nil
end

local function field(value, name)
    return type(value) == 'table' and value[name] or nil
end

if redis.call('EXISTS', unpack(KEYS, 3)) == 0 then
    return false
end
local now = redis.call('TIME')
for i = 3, #KEYS do
    local item = redis.call('RPOP', KEYS[i])
    if item then
        local queue = ARGV[i - 2]
        local is_json, message = pcall(cjson.decode, item)
        local properties = is_json and field(message, 'properties')
        local info = field(properties, 'delivery_info')
        local tag = text(field(properties, 'delivery_tag'))
        local exchange, routing_key = text(field(info, 'exchange')), text(field(info, 'routing_key'))
        local noted
        if tag and exchange and routing_key then
            noted = '[' .. item .. ',' .. cjson.encode(exchange) .. ',' .. cjson.encode(routing_key) .. ']'
        else
            tag = 'odd-' .. now[1] .. '-' .. now[2]
            local delivery_info = {exchange = '', routing_key = queue}
            local envelope = {body = item, properties = {delivery_tag = tag, delivery_info = delivery_info}}
            noted = cjson.encode({envelope, '', queue})
        end
        redis.call('ZADD', KEYS[2], now[1] .. '.' .. string.format('%06d', now[2]), tag)
        redis.call('HSET', KEYS[1], tag, noted)
        return {queue, tag, item}
    end
end
return false
