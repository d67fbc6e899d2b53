export { type DecodedMessage, decodeMessage, encodeMessage, MAX_MESSAGE, type Message, rcodeName } from "./message.js";
export { isWithin, labelsOf } from "./name.js";
export { checkAnswer, type TextChange, textQuery, textsOf, updateOf } from "./requests.js";
export { type Signed, signMessage, TSIG_ALGORITHMS, type TsigAlgorithm, type TsigKey, verifyAnswer } from "./tsig.js";
