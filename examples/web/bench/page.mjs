// The contestants' workers; bench.mjs calls these from outside.
const workers = new Map();

function ask(name, message) {
    const worker = workers.get(name);
    return new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => data.error === undefined ? resolve(data.result)
            : reject(new Error(`${name}: ${data.error}`));
        worker.onerror = (event) => reject(new Error(`${name}: ${event.message}`));
        worker.postMessage(message);
    });
}

/** Opens a contestant; its logits. */
globalThis.openContestant = (name, what) => {
    workers.set(name, new Worker('./worker.mjs', { type: 'module' }));
    return ask(name, { task: 'open', what });
};

/** Some passes. */
globalThis.runContestant = (name, times) => ask(name, { task: 'run', what: times });

globalThis.closeContestants = () => {
    for (const worker of workers.values()) worker.terminate();
    workers.clear();
};
