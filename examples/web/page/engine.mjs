// The worker's tasks as functions that give promises.

const worker = new Worker(new URL('./worker.mjs', import.meta.url), { type: 'module' });
const waiting = new Map();
let next = 0;

worker.onmessage = ({ data: { id, progress, result, error } }) => {
    const task = waiting.get(id);
    if (progress !== undefined) return task.onProgress?.(progress);
    waiting.delete(id);
    if (error !== undefined) task.reject(new Error(error));
    else task.resolve(result);
};

// The module itself could not be fetched, or is not understood.
worker.onerror = (event) => {
    event.preventDefault();
    for (const { reject } of waiting.values())
        reject(new Error(`the library does not start: ${event.message ?? 'it cannot be fetched'}`));
    waiting.clear();
};

/** Runs a task of worker.mjs. */
export function run(task, values, onProgress) {
    const id = next++;
    return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject, onProgress });
        worker.postMessage({ id, task, values });
    });
}
