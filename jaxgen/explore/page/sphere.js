// Looks around from the centre of a sphere, whose picture has a longitude in each column and a latitude in each row.
const FIELD = 1.4, HIGHEST = Math.PI / 2;  // the field of view, and how far up one can look, in radians

// Draws what is seen onto the canvas, and turns with the mouse and the arrow keys.
export class Sphere {
  constructor(canvas) {
    [this.canvas, this.turned, this.raised, this.picture] = [canvas, 0, 0, null];
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      const angle = 2 * Math.tan(FIELD / 2) / canvas.clientWidth;  // what is in the middle follows the mouse
      if (event.buttons) this.turn(-event.movementX * angle, event.movementY * angle);
    });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
      if (!step) return;
      event.preventDefault();
      this.turn(...step);
    });
  }

  async show(blob) {
    const bitmap = await createImageBitmap(blob), { width, height } = bitmap;
    const brush = new OffscreenCanvas(width, height).getContext("2d");
    brush.drawImage(bitmap, 0, 0);
    this.picture = brush.getImageData(0, 0, width, height);
    [this.turned, this.raised] = [0, 0];
    this.draw();
  }

  turn(right, up) {
    this.turned += right;
    this.raised = Math.min(HIGHEST, Math.max(-HIGHEST, this.raised + up));
    this.draw();
  }

  draw() {
    const { width, height } = this.canvas, brush = this.canvas.getContext("2d"), seen = brush.createImageData(width, height);
    const far = width / 2 / Math.tan(FIELD / 2), up = Math.sin(this.raised), ahead = Math.cos(this.raised);
    for (let row = 0, at = 0; row < height; row++) {
      const above = height / 2 - row - 0.5;
      const forward = far * ahead - above * up, high = far * up + above * ahead;  // the ray, as the head is raised
      for (let column = 0; column < width; column++, at += 4) {
        const right = column + 0.5 - width / 2;
        const longitude = Math.atan2(right, forward) + this.turned, latitude = Math.atan2(high, Math.hypot(right, forward));
        mix(this.picture, longitude / (2 * Math.PI) + 0.5, 0.5 - latitude / Math.PI, seen.data, at);
      }
    }
    brush.putImageData(seen, 0, 0);
  }
}

// The colour at shares of a picture's width and height, interpolated between four pixels, whose columns wrap around.
function mix({ width, height, data }, across, down, target, at) {
  const x = across * width - 0.5, y = down * height - 0.5, column = Math.floor(x), row = Math.floor(y);
  const left = ((column % width) + width) % width, right = (left + 1) % width, share = x - column, lower = y - row;
  const above = Math.max(0, row) * width, below = Math.min(height - 1, row + 1) * width;
  for (let channel = 0; channel < 3; channel++) {
    const value = (place) => data[4 * place + channel];
    const upper = (1 - share) * value(above + left) + share * value(above + right);
    target[at + channel] = (1 - lower) * upper + lower * ((1 - share) * value(below + left) + share * value(below + right));
  }
  target[at + 3] = 255;
}
