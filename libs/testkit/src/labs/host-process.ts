import { answerEchoes, echo } from "./echo.js";
import { serve } from "./rpc.js";

/** A host behind a gateway. */
answerEchoes();
serve({ echo });
