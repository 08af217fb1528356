-- Number an event and keep it with the state that follows from it, unless it is known. Runs as one step.
-- KEYS: log (hash), events (stream), gone (sorted set)
-- ARGV: 1 epoch and 2 gseq that the caller knows, 3 kind (status, progress, deleted), 4 uid, 5 rank, 6 shown,
--       7 draft, 8 progress and 9 its rank (or empty), 10 mark, 11 most events, 12 seconds that a uid stays gone
-- Returns the outcome (appended, same, known; or lost: attach again) and the gseq of the log.
local log, events, gone = KEYS[1], KEYS[2], KEYS[3]
local kind, uid, rank, shown, draft, progress, progress_rank = unpack(ARGV, 3, 9)

local head = redis.call('HMGET', log, 'epoch', 'gseq')
local gseq = tonumber(head[2] or '')
if head[1] ~= ARGV[1] or gseq < tonumber(ARGV[2]) then return {'lost', 0} end
local after = ''
if gseq > 0 then
  local last = redis.call('XREVRANGE', events, '+', '-', 'COUNT', 1)[1]
  if not last or last[1] ~= string.format('%d-0', gseq) then return {'lost', 0} end
  for i = 1, #last[2], 2 do
    if last[2][i] == 'mark' then after = last[2][i + 1] end
  end
end

-- Judge it; `_Known.take` in eventlog.py has the same rules for the log in memory.
if redis.call('ZSCORE', gone, uid) then return {'known', gseq} end
local known = redis.call('HMGET', log, 'rank:' .. uid, 'shown:' .. uid, 'progress:' .. uid, 'progress-rank:' .. uid)
if kind == 'status' then
  if known[1] and rank <= known[1] then return {'known', gseq} end
  redis.call('HSET', log, 'rank:' .. uid, rank)
  if known[2] == shown then return {'same', gseq} end
  if known[3] then progress, progress_rank = known[3], known[4] end -- never older than what was shown before
elseif kind == 'progress' then
  if known[4] and progress_rank <= known[4] then return {'known', gseq} end
end

local now = redis.call('TIME')
gseq = gseq + 1
local seq = redis.call('HINCRBY', log, 'seq:' .. uid, 1)
redis.call('HSET', log, 'gseq', gseq)
redis.call('XADD', events, 'MAXLEN', '~', ARGV[11], string.format('%d-0', gseq), 'mark', ARGV[10], 'after', after,
  'seq', seq, 'at', now[1] * 1000 + math.floor(now[2] / 1000), 'draft', draft, 'progress', progress)
if kind == 'status' then redis.call('HSET', log, 'shown:' .. uid, shown, 'state:' .. uid, draft) end
if kind ~= 'deleted' and progress ~= '' then
  redis.call('HSET', log, 'progress:' .. uid, progress, 'progress-rank:' .. uid, progress_rank)
end
if kind == 'deleted' then
  redis.call('HDEL', log, 'seq:' .. uid, 'rank:' .. uid, 'shown:' .. uid, 'state:' .. uid, 'progress:' .. uid,
    'progress-rank:' .. uid)
  redis.call('ZADD', gone, now[1], uid)
  redis.call('ZREMRANGEBYSCORE', gone, '-inf', now[1] - ARGV[12])
end
return {'appended', gseq}
