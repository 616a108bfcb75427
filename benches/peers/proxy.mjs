// A TCP proxy on this machine that counts what passes.

import net from "node:net";

// Begins to count anew: bytes to and from whoever dialled, changes of direction, HTTP requests.
export function clear(count, cut = Infinity) {
  return Object.assign(count, { bytes: [0, 0], turns: 0, requests: 0, direction: -1, cut });
}

// A port in front of the server's. What passes through it is counted; after `cut` bytes it closes.
export function proxy(to) {
  const count = clear({});
  const server = net.createServer((near) => {
    const far = net.connect(to, "127.0.0.1");
    const pass = (from, into, direction) => {
      from.on("data", (data) => {
        if (count.direction !== direction) {
          count.direction = direction;
          count.turns += 1;
        }
        const left = count.cut - count.bytes[0] - count.bytes[1];
        if (data.length >= left) {
          count.bytes[direction] += Math.max(left, 0);
          near.destroy();
          far.destroy();
          return;
        }
        count.bytes[direction] += data.length;
        if (direction === 1) {
          const text = data.toString("latin1");
          count.requests += (text.match(/^(GET|PUT|POST) \/\S+ HTTP\/1\.1\r$/gm) ?? []).length;
        }
        into.write(data);
      });
      from.on("end", () => into.end());
      from.on("error", () => into.destroy());
      from.on("close", () => into.destroy());
    };
    pass(near, far, 1);
    pass(far, near, 0);
  });
  return new Promise((ready) => {
    server.listen(0, "127.0.0.1", () => ready({ port: server.address().port, count, server }));
  });
}
