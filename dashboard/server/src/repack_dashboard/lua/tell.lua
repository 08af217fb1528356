-- Let all replicas hear a note. Notes are kept only for as long as a replica may need to connect again.
-- KEYS: notes (stream). ARGV: note, seconds.
local now = redis.call('TIME')
redis.call('XADD', KEYS[1], 'MINID', (now[1] - ARGV[2]) * 1000, '*', 'note', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
