-- Hands out slots that are free although jobs wait: the gate has opened, or the cap was raised.
-- KEYS: waiting, slots, due, gate
-- ARGV: cap, lease (ms), most grants
-- Returns: granted job ids
return grant(KEYS[1], KEYS[2], KEYS[3], KEYS[4], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
