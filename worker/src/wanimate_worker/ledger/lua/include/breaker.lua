-- The circuit breaker. One lost answer is an accident. Three without an answered submission in between are an outage, and
-- each job sent into it may be paid for without anybody knowing its task. So from then on it is open: one submission at a
-- time is tried (half-open), after longer and longer pauses, until one is answered.
-- It is open while the gate has trial_at_ms, when the next one is tried. trial is the attempt that is being tried, trials how
-- many have come to nothing, trial_for why: 'lost' answers (lost_in_a_row), 'refused' jobs (refused_in_a_row and
-- refused_why), or an account that was 'suspended'.
-- Uses: gate
-- Settings: trial_base_ms, backoff_longest_ms
local TRIAL = {'lost_in_a_row', 'trial_at_ms', 'trial', 'trials', 'trial_for'}

-- Opens the breaker after the third failure in a row, and puts the next trial off if this attempt was one. Returns whether
-- it was opened.
local function open_breaker(nonce, in_a_row)
  local state = gate_state()
  local is_first = in_a_row >= 3 and not state.trial_at_ms
  if is_first or (state.trial_at_ms and state.trial == nonce) then
    local trials = is_first and 0 or (tonumber(state.trials) or 0) + 1
    local pause_ms = math.min(backoff_longest_ms, trial_base_ms * 2 ^ math.min(trials, 30))
    set_gate({'trial_at_ms', whole(now_ms() + pause_ms)})
    if not is_first then
      set_gate({'trials', trials})
    end
  end
  return is_first
end

-- The vendor's side lost the answer to an attempt.
local function note_lost(nonce)
  local in_a_row = (tonumber(gate_state().lost_in_a_row) or 0) + 1
  set_gate({'lost_in_a_row', in_a_row})
  if open_breaker(nonce, in_a_row) then
    set_gate({'trial_for', 'lost'})
  end
end

-- A submission was accepted: the breaker is closed, whatever it was open for.
local function close_breaker()
  clear_gate({'refused_in_a_row', 'refused_why', unpack(TRIAL)})
end

-- A submission was answered in another way, or a callback told of its task: what is sent is not lost. Whether the
-- account may submit is not known by that: where this is tried, another one may be tried at once.
local function note_reply(nonce)
  local state = gate_state()
  if not state.trial_for or state.trial_for == 'lost' then
    clear_gate(TRIAL)
    return
  end
  clear_gate({'lost_in_a_row'})
  if state.trial == nonce then
    set_gate({'trial_at_ms', 0})
  end
end
