// vit.mjs beside onnxruntime-web in Chromium: the same weights, one thread each, one interleaved run.
// bench.mjs SITE [ROUNDS] [SIZES]; make bench-web makes SITE. Times are those of the processor that the
// contestant's thread has had (Linux's schedstat), as other programs may run on the machine.
import { createRequire } from 'node:module';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { serve } from '../serve.mjs';

const [, , site, rounds = '12', sizes = 'ti,s'] = process.argv;
const { chromium } = createRequire(join(resolve(site), '../node_modules/'))('playwright-core');
const TITLES = { ti: 'ViT-Ti/16', s: 'ViT-S/16', b: 'ViT-B/16' };
const PASSES = 3; // of a turn
const TOLERANCE = 1e-5; // of the largest logit, float32
const contestants = [false, true].flatMap((int8) => {
    const type = int8 ? 'int8' : 'float32';
    return [
        { name: `${type}, ORT`, engine: 'ort', int8 },
        { name: `${type}, vit.h`, engine: 'vit', int8, relaxed: false },
        { name: `${type}, vit.h, relaxed SIMD`, engine: 'vit', int8, relaxed: true },
    ];
});

const median = (numbers) => {
    const sorted = [...numbers].sort((a, b) => a - b), middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

function difference(logits, expected) {
    const largest = Math.max(...expected.map(Math.abs));
    return Math.max(...expected.map((value, i) => Math.abs(value - logits[i]))) / largest;
}

/** A function that tells the milliseconds of processor time that the workers of all pages have had. */
async function workerClock(browser) {
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    const tasks = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => `/proc/${id}/task`);
    return () => {
        let nanoseconds = 0;
        for (const folder of tasks)
            for (const thread of readdirSync(folder)) {
                if (!readFileSync(`${folder}/${thread}/comm`, 'utf8').startsWith('DedicatedWorker')) continue;
                nanoseconds += Number(readFileSync(`${folder}/${thread}/schedstat`, 'utf8').split(' ')[0]);
            }
        return nanoseconds / 1e6;
    };
}

/** The times of one size of model. */
async function race(page, size, clock) {
    const times = Object.fromEntries(contestants.map(({ name }) => [name, []])), logits = {};
    for (const contestant of contestants)
        logits[contestant.name] = await page.evaluate(([name, what]) => openContestant(name, what),
            [contestant.name, { ...contestant, folder: `peers/${size}` }]);
    const errors = Object.fromEntries(Object.entries(logits).map(([name, values]) =>
        [name, difference(values, logits['float32, vit.h'])]));
    for (const { name, int8 } of contestants)
        if (!int8 && !(errors[name] <= TOLERANCE)) throw new Error(`${name}: its logits differ by ${errors[name]}`);
    for (let round = -1; round < Number(rounds); round++) // the first one warms up
        for (let i = 0; i < contestants.length; i++) {
            const { name } = contestants[(i + Math.max(0, round)) % contestants.length];
            const begin = clock();
            await page.evaluate(([who, times]) => runContestant(who, times), [name, PASSES]);
            if (round >= 0) times[name].push((clock() - begin) / PASSES);
        }
    await page.evaluate(() => closeContestants());
    return { size, times, errors };
}

/** The median over the rounds of ORT's time by that of a contestant of the same round. */
function ratio(times, name) {
    const [type] = name.split(',');
    return median(times[`${type}, ORT`].map((time, i) => time / times[name][i]));
}

function table(results) {
    const lines = [['ms of processor time (median / minimum); ORT\'s time / it', ...results.map(({ size }) => TITLES[size])]];
    lines.push(lines[0].map(() => '---'));
    for (const { name, engine } of contestants)
        lines.push([name, ...results.map(({ times }) => {
            const all = times[name], text = `${median(all).toFixed(1)} / ${Math.min(...all).toFixed(1)}`;
            return engine === 'ort' ? text : `${text}; **${ratio(times, name).toFixed(2)}**`;
        })]);
    return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const { server, address } = await serve(site);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: process.getuid() === 0 ? ['--no-sandbox'] : [] });
try {
    const page = await browser.newPage();
    await page.goto(`${address}bench.html`);
    const results = [];
    for (const size of sizes.split(',')) results.push(await race(page, size, await workerClock(browser)));
    console.log(`Chromium ${browser.version()}, ${cpus()[0].model}, 1 thread, ${rounds} rounds\n\n${table(results)}`);
    for (const { size, errors } of results)
        console.log(`${TITLES[size]}: largest difference from vit.h's float32 logits: ${Object.entries(errors)
            .map(([name, error]) => `${name} ${error.toExponential(1)}`).join('; ')}`);
} finally {
    await browser.close();
    server.close();
}
