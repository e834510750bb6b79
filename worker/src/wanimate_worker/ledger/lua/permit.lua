-- Takes request permits for polls, as many of those wanted as conform now.
-- Uses: budget
-- Returns: how many were granted; none while the gate is closed or the account's limits are not known
return take_poll_permits(wanted)
