/**
 * What Redis does for nodes, each at once and by its own clock. All are given the prefix of keys, and as arguments how long a lease is
 * and how long a slot rests after it, in milliseconds; the others stand at their top.
 *
 * - `slot:N` is `{ instance, epoch, addr, renewed, freed, previous }`, where `renewed` is milliseconds since 1970, `freed` is true when
 *   the owner gave it back, and `previous` is the same of the owner before; it lives for the lease and the rest.
 * - `epochs`, a hash, is the last epoch of each slot, for ever.
 * - `since` is when the first node came after all had been away. Then, and after a restart, those that run may not have written
 *   themselves down again: for a lease nobody takes a slot.
 * - `version` is another text each time that a slot has another owner.
 */
const COMMON = `
local prefix, lease, rest = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- What is not of ours counts for nothing.
local function read(slot)
  local text = redis.call('GET', prefix .. 'slot:' .. slot)
  local isJson, entry = pcall(cjson.decode, text or '')
  if not isJson or type(entry) ~= 'table' then return nil end
  if type(entry.instance) ~= 'string' or type(entry.epoch) ~= 'number' or type(entry.renewed) ~= 'number' then return nil end
  if type(entry.previous) ~= 'table' then entry.previous = nil end
  return entry
end

local function write(slot, entry, ...)
  redis.call('SET', prefix .. 'slot:' .. slot, cjson.encode(entry), ...)
end

local function changed()
  redis.call('SET', prefix .. 'version', time[1] .. '.' .. time[2])
end

local function since()
  local at = tonumber(redis.call('GET', prefix .. 'since') or now)
  redis.call('SET', prefix .. 'since', at, 'PX', 2 * lease)
  return at
end
`;

/**
 * Takes a slot: one that is free, of those that the host had the first, else the lowest. Of those that rest it may have one that was
 * its own, or, when none is free, the one that rests longest. Gives `{"slot", slot, epoch}`, `{"wait", milliseconds}` or `{"full"}`.
 */
export const CLAIM = `${COMMON}
local instance, addr, slots = ARGV[3], ARGV[4], tonumber(ARGV[5])
local had, remembered, chance = cjson.decode(ARGV[6]), cjson.decode(ARGV[7]), tonumber(ARGV[8])

-- Who may not ask how long Redis has been up goes by the other.
local info = redis.pcall('INFO', 'server')
local up = type(info) == 'string' and string.match(info, 'uptime_in_seconds:(%d+)')
local open = math.max(since(), up and now - up * 1000 or 0) + lease
if now < open then return {'wait', open - now} end

local free, resting, entries = nil, nil, {}
for slot = 0, slots - 1 do
  local entry = read(slot)
  entries[slot] = entry
  -- Its answer was lost.
  if entry and entry.instance == instance then return {'slot', slot, entry.epoch} end
  if not entry then
    free = free or slot
  elseif entry.freed or entry.renewed + lease <= now then
    entry.rests = true
    if not resting or entry.renewed < entries[resting].renewed then resting = slot end
  end
end

local chosen = free or resting
for i = #had, 1, -1 do
  local entry = entries[had[i].slot]
  if had[i].slot < slots and (not entry or entry.rests and entry.instance == had[i].instance) then chosen = had[i].slot end
end
if not chosen then return {'full'} end

local before = entries[chosen]
local last = tonumber(redis.call('HGET', prefix .. 'epochs', chosen) or -1)
last = math.max(last, before and before.epoch or -1, before and before.previous and before.previous.epoch or -1)
last = math.max(last, remembered[tostring(chosen)] or -1)
local epoch = last < 0 and chance or last + 1
local previous = before and { instance = before.instance, epoch = before.epoch, addr = before.addr, renewed = before.renewed }
write(chosen, { instance = instance, epoch = epoch, addr = addr, renewed = now, previous = previous or nil }, 'PX', lease + rest)
redis.call('HSET', prefix .. 'epochs', chosen, epoch)
changed()
return {'slot', chosen, epoch}
`;

/**
 * Renews a slot, also one that Redis has forgotten. When another has it, gives `{instance, epoch}` of that one, and this one is written
 * down as its previous owner, where no other is that lives; `isLost`: it was so before already.
 */
export const RENEW = `${COMMON}
local instance, addr, slot, epoch, isLost = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7] == 'true'
since()
local entry = read(slot)
local own = { instance = instance, epoch = epoch, addr = addr, renewed = now }
local previous = entry and entry.previous
local isPrevious = previous and previous.instance == instance and previous.epoch == epoch
local isOver = previous and type(previous.renewed) == 'number' and previous.renewed + lease + rest <= now

if entry and (entry.instance ~= instance or entry.epoch ~= epoch) then
  if not previous or isPrevious or isOver then
    entry.previous = own
    write(slot, entry, 'KEEPTTL')
    if not isPrevious then changed() end
  end
  return {entry.instance, entry.epoch}
end
if isLost then return {} end
if not entry then changed() end
if not isOver then own.previous = previous or nil end
write(slot, own, 'PX', lease + rest)
local last = tonumber(redis.call('HGET', prefix .. 'epochs', slot) or -1)
if epoch > last then redis.call('HSET', prefix .. 'epochs', slot, epoch) end
return {}
`;

/** Gives a slot back, which then rests. */
export const RELEASE = `${COMMON}
local instance, slot, epoch = ARGV[3], ARGV[4], tonumber(ARGV[5])
local entry = read(slot)
if entry and entry.instance == instance and entry.epoch == epoch then
  entry.freed = true
  entry.renewed = now
  write(slot, entry, 'PX', rest)
  changed()
end
`;
