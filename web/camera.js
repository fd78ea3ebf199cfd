/** The camera: a picture to see oneself in, and the photo taken of it. */

export class Camera {
  /**
   * @param {HTMLVideoElement} video shows the picture while the camera is open
   * @param {() => void} onEnded the browser or the user took the camera away: what `video` shows is an old picture
   */
  constructor(video, onEnded) {
    this.video = video;
    this.onEnded = onEnded;
    /** @type {MediaStream | null} */
    this.stream = null;
    /** The last time that it was asked for; null when it is closed. @type {object | null} */
    this.asked = null;
  }

  static get possible() {
    return Boolean(navigator.mediaDevices?.getUserMedia);
  }

  /**
   * Asks the user for the camera, and shows its picture.
   * @returns {Promise<boolean>} false: it was closed, or asked for again, before the user had answered
   */
  async open() {
    const asked = (this.asked = {});
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 960 } },
      });
      if (this.asked !== asked) {
        stop(stream);
        return false;
      }
      this.stream = stream;
      for (const track of stream.getTracks()) {
        track.addEventListener("ended", () => this.stream === stream && this.onEnded());
      }
      this.video.srcObject = stream;
      await this.video.play();
    } catch (error) {
      if (this.asked !== asked) return false;
      this.close();
      throw error;
    }
    return this.asked === asked;
  }

  /**
   * The present picture as JPEG.
   * @returns {Promise<Blob>}
   */
  photo() {
    const canvas = document.createElement("canvas");
    canvas.width = this.video.videoWidth;
    canvas.height = this.video.videoHeight;
    canvas.getContext("2d")?.drawImage(this.video, 0, 0);
    return new Promise((resolve, reject) =>
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("The camera gave no picture."))), "image/jpeg", 0.95),
    );
  }

  close() {
    this.asked = null;
    if (this.stream) stop(this.stream);
    this.stream = null;
    this.video.srcObject = null;
  }
}

/** @param {MediaStream} stream */
function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
