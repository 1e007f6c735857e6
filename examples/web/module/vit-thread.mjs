// A thread of vit.mjs: an instance of the library in the memory that they share.

function run({ module, memory, stack }) {
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    exports.__stack_pointer.value = stack;
    exports.web_thread(); // until it is terminated
}

if (typeof process === 'object' && process.versions?.node !== undefined) {
    const { workerData } = await import('node:worker_threads');
    run(workerData);
} else {
    onmessage = ({ data }) => run(data);
}
