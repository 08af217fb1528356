-- Find the log, or begin a new one where it is not whole or not the one that the caller knows. Runs as one step.
-- KEYS: log (hash), events (stream), gone (sorted set), notes (stream)
-- ARGV: epoch of a log to begin; what the caller knows: epoch, gseq, mark of the event with that gseq
-- Returns epoch, gseq.
local log, events = KEYS[1], KEYS[2]
local head = redis.call('HMGET', log, 'epoch', 'gseq')
local epoch, gseq = head[1], tonumber(head[2] or '')

local function mark_of(entry)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'mark' then return entry[2][i + 1] end
  end
end

local function is_whole()
  if not epoch or not gseq then return false end -- lost, or never begun
  if gseq > 0 then
    local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
    if not last or last[1] ~= string.format('%d-0', gseq) then return false end -- the stream was lost
  end
  if epoch == ARGV[2] then
    local seen = tonumber(ARGV[3])
    if seen > gseq then return false end -- it went back: a failover to a Redis that had not heard of everything
    local id = string.format('%d-0', seen)
    local same = redis.call('XRANGE', events, id, id)[1]
    if same and mark_of(same) ~= ARGV[4] then return false end -- it went back, and others have written since
  end
  return true
end

if not is_whole() then
  redis.call('DEL', unpack(KEYS))
  epoch, gseq = ARGV[1], 0
  redis.call('HSET', log, 'epoch', epoch, 'gseq', gseq)
end
return {epoch, gseq}
