/** The summary of a stream that went on over several connections, of which the service knows the last. */
/** `summary`, together with the windows that were judged before it. */
export function summaryAfter(earlier, summary) {
    if (!earlier.length)
        return summary;
    const told = summary.channels ?? [];
    const names = new Set([...told.map(({ name }) => name), ...earlier.flatMap(({ channel }) => channel ?? [])]);
    if (!names.size)
        return over([...earlier, ...summary.windows], summary);
    const wholes = [...names].map((name, place) => {
        const last = told.find((channel) => channel.name === name);
        const heard = earlier.filter(({ channel }) => channel === undefined || channel === name);
        const whole = over([...heard, ...(last ?? summary).windows], summary);
        return { whole, channel: ofChannel(last?.number ?? place, name, whole, last ?? summary) };
    });
    const worst = wholes.reduce((one, other) => ((other.whole.p_spoof ?? -1) > (one.whole.p_spoof ?? -1) ? other : one));
    const channels = wholes.map(({ channel }) => channel).sort((one, other) => one.number - other.number);
    const { conditions, name: channel } = worst.channel;
    const { conditions: _ofAnother, ...whole } = worst.whole;
    return { ...whole, ...(conditions && { conditions }), channel, channels };
}
/** A summary as that of one channel; `last` is what the service tells of its last part. */
function ofChannel(number, name, whole, last) {
    const { label, is_spoof, p_spoof, speech_seconds, windows, suspicious, member_scores, partially_spoofed } = whole;
    return {
        number,
        name,
        label,
        is_spoof,
        p_spoof,
        speech_seconds,
        windows,
        suspicious,
        ...(member_scores && { member_scores }),
        ...(partially_spoofed !== undefined && { partially_spoofed }),
        ...(last.conditions && { conditions: last.conditions }),
    };
}
/** The summary of these windows, of one channel or of all together. */
function over(windows, summary) {
    // A score without any speech: the service does not ask for speech, and windows weigh their seconds.
    const isAsked = windows.every(({ p_spoof, speech_ratio }) => p_spoof === null || speech_ratio > 0);
    const heard = windows.map((window, index) => {
        const fresh = window.end_time_seconds - Math.max(window.start_time_seconds, windows[index - 1]?.end_time_seconds ?? 0);
        const speech = window.speech_ratio * fresh;
        return { window, fresh, speech, weight: isAsked ? speech : fresh };
    });
    const score = mean(heard);
    const members = memberMeans(heard);
    const isSpoof = score !== null && score >= summary.threshold;
    const suspicious = stretches(heard);
    // The service has decided on the last part alone, and its model may have had other members.
    const { decision: _decision, llr: _llr, member_scores: _members, ...rest } = summary;
    return {
        ...rest,
        label: score === null ? "no_speech" : isSpoof ? "spoof" : "bonafide",
        partially_spoofed: score !== null && !isSpoof && suspicious.length > 0,
        is_spoof: isSpoof,
        p_spoof: score,
        windows: [...windows],
        suspicious,
        judged_seconds: sum(heard.map(({ window, fresh }) => (window.p_spoof === null ? 0 : fresh))),
        speech_seconds: sum(heard.map(({ speech }) => speech)),
        ...(Object.keys(members).length && { member_scores: members }),
    };
}
/** Seconds; windows with a smaller gap between them are adjacent, as for the service. */
const NEIGHBOURS_S = 0.01;
/** Runs of windows labelled spoof: a pause within one belongs to it, a bona fide window or a gap in time ends it. */
function stretches(heard) {
    const runs = [];
    let running = false;
    let end = 0;
    for (const one of heard) {
        const { label, start_time_seconds, end_time_seconds } = one.window;
        running &&= label !== "bonafide" && start_time_seconds < end + NEIGHBOURS_S;
        if (label === "spoof") {
            if (running)
                runs.at(-1).push(one);
            else
                runs.push([one]);
            running = true;
        }
        end = end_time_seconds;
    }
    return runs.map((run) => ({
        start_time_seconds: run[0].window.start_time_seconds,
        end_time_seconds: run.at(-1).window.end_time_seconds,
        p_spoof: mean(run) ?? 0,
    }));
}
function mean(heard) {
    return meanOf(heard, (window) => window.p_spoof);
}
/** Of the members that all windows with a score have: another model may answer after a reconnection. */
function memberMeans(heard) {
    const judged = heard.filter(({ window }) => window.p_spoof !== null);
    const names = Object.keys(judged[0]?.window.member_scores ?? {});
    const common = names.filter((name) => judged.every(({ window }) => name in (window.member_scores ?? {})));
    return Object.fromEntries(common.map((name) => [name, meanOf(judged, (window) => window.member_scores?.[name] ?? null) ?? 0]));
}
function meanOf(heard, score) {
    const judged = heard.filter(({ window }) => score(window) !== null);
    const total = sum(judged.map(({ weight }) => weight));
    return total ? sum(judged.map(({ window, weight }) => (score(window) ?? 0) * weight)) / total : null;
}
function sum(values) {
    return values.reduce((total, value) => total + value, 0);
}
