// When to ask for the page: when the socket says that there is something new, every few seconds while there is no socket, never while the
// page is hidden; one request at a time and at most one a second.

const POLL = 5000;
const APART = 1000;
const OPENING = 5000; // milliseconds that a socket may take to open
const SILENT = 25000; // it says something every ten seconds
const [FIRST, LONGEST] = [1000, 60000];

// `path`: of the socket, as this page reaches it.
export function follow({ path, renew, tell }) {
  let number = null; // the last one that was heard; another one, whatever was missed in between, means new figures
  let socket = null;
  let failed = 0;
  let over = false;
  let asking = false;
  let asked = 0;
  let waiting = null;
  let silence = null;
  let poll = null;

  async function ask() {
    if (over || document.hidden || waiting) return;
    if (asking || Date.now() - asked < APART) {
      waiting = setTimeout(() => { waiting = null; ask(); }, asking ? APART : Math.max(50, APART - (Date.now() - asked)));
      return;
    }
    asking = true;
    asked = Date.now();
    try {
      if (!(await renew())) stop();
      else if (socket?.readyState === WebSocket.OPEN) tell("");
      else if (!over) tell("Not live just now: asked for every 5 seconds.");
    } catch {
      tell("The gateway does not answer: these figures stay as they are until it does.");
    } finally {
      asking = false;
    }
  }

  function stop() {
    over = true;
    clearInterval(poll);
    clearTimeout(silence);
    socket?.close();
  }

  function listen() {
    clearTimeout(silence);
    silence = setTimeout(() => socket?.close(), SILENT);
  }

  function connect() {
    if (over || document.hidden || socket) return;
    const mine = new WebSocket(new URL(path, location.href.replace(/^http/, "ws")));
    socket = mine;
    const late = setTimeout(() => mine.close(), OPENING);
    mine.onopen = () => {
      clearTimeout(late);
      clearInterval(poll);
      poll = null;
      listen();
    };
    mine.onmessage = (event) => {
      failed = 0;
      listen();
      const heard = JSON.parse(event.data).number;
      const news = heard !== number;
      number = heard;
      if (news) ask();
    };
    mine.onclose = () => {
      clearTimeout(late);
      clearTimeout(silence);
      if (socket === mine) socket = null;
      if (over || document.hidden) return;
      poll ??= setInterval(ask, POLL);
      ask();
      const wait = Math.min(LONGEST, FIRST * 2 ** failed) * (0.5 + Math.random() / 2);
      failed += 1;
      setTimeout(connect, wait);
    };
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearInterval(poll);
      poll = null;
      socket?.close();
    } else {
      connect();
      ask();
    }
  });
  window.addEventListener("online", connect);
  connect();
}
