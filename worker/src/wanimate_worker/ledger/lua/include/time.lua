-- Time is Redis time: hosts' clocks differ, and a lease must mean the same to all of them. It is read once: all that a
-- script does happens at one moment.
local moment_us
local function now_us()
  if not moment_us then
    local time = redis.call('TIME')
    moment_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  end
  return moment_us
end

local function now_ms()
  return math.floor(now_us() / 1000)
end

-- Lua would write large numbers as 1.7e+15.
local function whole(number)
  return string.format('%.0f', number)
end

-- Adds values to a list; none where there are none.
local function append(list, values)
  for _, value in ipairs(values or {}) do
    list[#list + 1] = value
  end
end
