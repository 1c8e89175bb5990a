-- wrk sends whole requests from a file, round and round, and reports in one line of JSON.
local requests, sent = {}, 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local data = file:read("*a")
  file:close()
  local at = 1
  while at <= #data do
    local stop = data:find("\n", at, true)
    local length = tonumber(data:sub(at, stop - 1))
    requests[#requests + 1] = data:sub(stop + 1, stop + length)
    at = stop + 1 + length
  end
end

function request()
  sent = sent % #requests + 1
  return requests[sent]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\nBENCH {"requests":%d,"seconds":%f,"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"p50":%f,"p99":%f}\n',
    summary.requests, summary.duration / 1e6, e.status, e.connect, e.read, e.write, e.timeout,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
