// What poll plans replace: a timer for each job in one process, which asks every second until the
// job is done, and then tells whoever waits. `node pollers.mjs URL JOBS`
import http from "node:http";

const [url, jobs] = [process.argv[2], Number(process.argv[3])];
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(url + path, { method, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => (text += piece));
      response.on("end", () => resolve(text));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

function poll(job) {
  let isAsking = false;
  const timer = setInterval(async () => {
    if (isAsking) return;
    isAsking = true;
    try {
      const text = await ask("GET", `/jobs/${job}`);
      if (JSON.parse(text).status === "done") {
        clearInterval(timer);
        await ask("POST", "/told", text);
      }
    } catch (error) {
      console.error(error.message);
    } finally {
      isAsking = false;
    }
  }, 1000);
}

// Begun over a second, as by calls that come one after the other.
for (let job = 0; job < jobs; job++) setTimeout(() => poll(job), (job / jobs) * 1000);
setTimeout(() => console.log("ready"), 1000);
