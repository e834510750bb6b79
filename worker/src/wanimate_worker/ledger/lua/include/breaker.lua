-- The circuit breaker. One lost answer is an accident. Three without an answered submission in between are an outage, and
-- each job sent into it may be paid for while its task is not known. So from then on the breaker is open: one submission at
-- a time is tried (half-open), with increasing pauses, until one is answered.
-- It is open while the account has breaker_next_ms, when the next one is tried. breaker_attempt is the one that is being
-- tried, breaker_failures how many have failed, breaker_for why: 'lost' answers (lost_in_a_row), 'refused' jobs
-- (refused_in_a_row and refused_why), or an account that was 'suspended'.
-- Uses: account
-- Settings: breaker_base_ms, backoff_max_ms
local BREAKER = {'lost_in_a_row', 'breaker_next_ms', 'breaker_attempt', 'breaker_failures', 'breaker_for'}

-- Opens the breaker after the third failure in a row, and puts the next attempt off if this was one. Returns whether it
-- was opened.
local function open_breaker(nonce, in_a_row)
  local known = read_account()
  local is_first = in_a_row >= 3 and not known.breaker_next_ms
  if is_first or (known.breaker_next_ms and known.breaker_attempt == nonce) then
    local failures = is_first and 0 or (known.breaker_failures or 0) + 1
    local pause_ms = math.min(backoff_max_ms, breaker_base_ms * 2 ^ math.min(failures, 30))
    set_account({breaker_next_ms = now_ms() + pause_ms, breaker_failures = failures})
  end
  return is_first
end

-- The vendor's side lost the answer to an attempt.
local function note_lost(nonce)
  local in_a_row = (read_account().lost_in_a_row or 0) + 1
  set_account({lost_in_a_row = in_a_row})
  if open_breaker(nonce, in_a_row) then
    set_account({breaker_for = 'lost'})
  end
end

-- A submission was accepted: the breaker is closed, whatever it was open for.
local function close_breaker()
  clear_account({'refused_in_a_row', 'refused_why', unpack(BREAKER)})
end

-- A submission was answered in another way, or a callback named its task: answers are not lost. Whether the account may
-- submit is not known by that: if that is why the breaker is open, another submission may be tried at once.
local function note_reply(nonce)
  local known = read_account()
  if not known.breaker_for or known.breaker_for == 'lost' then
    clear_account(BREAKER)
    return
  end
  clear_account({'lost_in_a_row'})
  if known.breaker_attempt == nonce then
    set_account({breaker_next_ms = 0})
  end
end
