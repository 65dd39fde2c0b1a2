// Copyright 2026 Plexus bridge contributors
// SPDX-License-Identifier: Apache-2.0
//
// The examples that the platform's documents give for the three live streams, but for host, key and
// source. `done` gets what they have shown, once each of them has shown something.

const canvas = typeof document === "undefined" ? null : document.getElementById("feed");
const shown = { codes: {} };

function show(name, value) {
  shown[name] = value;
  if (shown.point && shown.event && shown.init && shown.picture) done(shown);
}

function open(stream, onFrame) {
  const ws = new WebSocket(`${GATEWAY.replace("http", "ws")}/v1/sources/kiln-7/${stream}`);
  ws.onopen = () => {
    ws.send(JSON.stringify({ type: "auth", api_key: API_KEY }));
  };
  ws.onmessage = (e) => {
    const msg = JSON.parse(e.data);
    onFrame(msg);
  };
  ws.onclose = ({ code, reason }) => {
    shown.codes[stream] = [code, reason];
  };
}

open("metrics/stream?metrics=battery.percent,cpu.percent", (msg) => {
  if (msg.type === "telemetry") {
    for (const pt of msg.points) show("point", [pt.metric, pt.value, pt.timestamp]);
  }
});

open("logs/stream", (msg) => {
  if (msg.type === "event") show("event", [msg.metric, msg.value, msg.timestamp]);
});

open("video/stream?camera_id=front&camera_id=rear", (msg) => {
  if (msg.type === "init") show("init", msg.online_sources);
  if (msg.type === "video_frame") {
    if (canvas === null) {
      show("picture", [msg.camera_id, msg.width, msg.height, msg.frame]);
      return;
    }
    const img = new Image();
    img.onload = () => {
      canvas.width = msg.width;
      canvas.height = msg.height;
      const ctx = canvas.getContext("2d");
      ctx.drawImage(img, 0, 0);
      show("picture", [msg.camera_id, msg.width, msg.height, ...ctx.getImageData(1, 1, 1, 1).data]);
    };
    img.src = `data:image/jpeg;base64,${msg.frame}`;
  }
});
