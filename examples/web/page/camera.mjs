// The camera, in a dialog.
const dialog = document.getElementById('camera-dialog');
const video = document.getElementById('video');
let stream = null, take = null, asking = false;

const REASONS = {
    NotAllowedError: 'the browser was not allowed to use the camera',
    NotFoundError: 'there is no camera',
    NotReadableError: 'another program has the camera',
};

function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    video.srcObject = stream = null;
}

/** Opens the camera; onPicture gets the pixels of each picture that is taken. many: it stays open. */
export async function openCamera(onPicture, many = false) {
    if (navigator.mediaDevices === undefined)
        throw new Error('the browser gives the camera only to pages from https or this machine');
    if (asking || dialog.open) return;
    asking = true;
    try {
        stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    } catch (error) {
        throw new Error(REASONS[error.name] ?? error.message);
    } finally {
        asking = false;
    }
    video.srcObject = stream;
    take = async () => {
        const canvas = Object.assign(document.createElement('canvas'),
            { width: video.videoWidth, height: video.videoHeight });
        const context = canvas.getContext('2d');
        context.drawImage(video, 0, 0);
        const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
        if (!many) dialog.close();
        await onPicture(pixels);
    };
    dialog.showModal();
}

document.getElementById('shoot').onclick = () => { if (video.videoWidth > 0) take(); };
document.getElementById('camera-close').onclick = () => dialog.close();
dialog.onclose = stop;
