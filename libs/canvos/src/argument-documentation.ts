import { argumentCatalogue } from './argument-catalogue.ts'
import type { ArgumentDefinition } from './argument-definition.ts'
import { describeType } from './argument-types.ts'
import { featureRules } from './feature-rules.ts'
import { platformRules } from './platform-rules.ts'

type Row = readonly [code: string, severity: string, rule: string, source: string]

const bashAndEarthly =
  'CanvOS `earthly.sh` (`source .arg`); EarthBuild v0.8.18 `build_cmd.go` (godotenv v1.5.1)'

/** The rules of the file’s syntax (`arg-file.ts`, `arg-value.ts`). */
const syntaxRules: readonly Row[] = [
  ['arg-file.byte-order-mark', 'error', 'No byte order mark.', bashAndEarthly],
  ['arg-file.carriage-return', 'error', 'LF line endings.', bashAndEarthly],
  ['arg-file.null-character', 'error', 'No NUL.', bashAndEarthly],
  [
    'arg-file.missing-equals',
    'error',
    'Each line is `KEY=VALUE`, `export KEY=VALUE`, a comment or blank.',
    bashAndEarthly,
  ],
  ['arg-file.space-around-equals', 'error', 'No white space around `=`.', bashAndEarthly],
  [
    'arg-file.invalid-name',
    'error',
    'Names are letters, digits and `_`, and do not begin with a digit.',
    bashAndEarthly,
  ],
  [
    'arg-file.reserved-name',
    'error',
    'No variables that the shell sets or obeys itself.',
    'bash manual, “Shell Variables”',
  ],
  ['arg-file.duplicate', 'warning', 'Each name once; the last counts.', bashAndEarthly],
  [
    'arg-file.command-substitution',
    'error',
    'No `$(…)` and no backticks outside of single quotes.',
    bashAndEarthly,
  ],
  [
    'arg-file.shell-syntax',
    'error',
    'No `;`, `&`, `\\|`, `<`, `>`, `(`, `)` outside of quotes.',
    bashAndEarthly,
  ],
  ['arg-file.unquoted-space', 'error', 'Values with spaces are quoted.', bashAndEarthly],
  [
    'arg-file.unusual-space',
    'error',
    'No other white space than spaces and tabs outside of quotes.',
    bashAndEarthly,
  ],
  ['arg-file.control-character', 'error', 'No control characters but tabs in quotes.', bashAndEarthly],
  ['arg-file.quote-inside-value', 'error', 'Quotes enclose the whole value.', bashAndEarthly],
  [
    'arg-file.text-after-quote',
    'error',
    'Nothing follows the closing quote but white space and a comment.',
    bashAndEarthly,
  ],
  ['arg-file.unterminated-quote', 'error', 'Quotes are closed on their line.', bashAndEarthly],
  [
    'arg-file.escape',
    'error',
    'Backslashes stand in single quotes, or in double quotes before `"`, `\\`, `$` and backticks.',
    bashAndEarthly,
  ],
  ['arg-file.tilde', 'error', 'No `~` outside of quotes where bash would expand it.', bashAndEarthly],
  ['arg-file.brace', 'error', 'No braces outside of quotes after `export`.', bashAndEarthly],
  ['arg-file.reference', 'error', 'References are `$NAME` or `${NAME}` in capitals.', bashAndEarthly],
  ['arg-file.undefined-reference', 'error', 'References are to names that are set above.', bashAndEarthly],
  ['arg-file.ambiguous', 'error', 'Nothing else that Earthly and bash read differently.', bashAndEarthly],
  ['arg-file.too-many-faults', 'error', 'After 100 faults, reading ends.', 'this service'],
]

/** The rules for each argument by itself (`argument-findings.ts`). */
const singleRules: readonly Row[] = [
  [
    'arguments.unknown',
    'error',
    'The argument is documented, or the tag’s Earthfile declares it.',
    'CanvOS Earthfile of the tag',
  ],
  [
    'arguments.not-in-tag',
    'error; warning at its default',
    'The tag has the argument.',
    'CanvOS Earthfile of the tag; the columns “since” and “until” below',
  ],
  [
    'arguments.built-in',
    'error',
    'Earthly does not set it itself.',
    'EarthBuild v0.8.18 `variables/reserved/names.go`',
  ],
  [
    'arguments.credential',
    'error',
    'Only the URLs of proxies hold passwords.',
    'this service; arguments stay readable in logs, caches and images',
  ],
  ['arguments.required', 'error', 'What the target needs is set.', 'Edge Artifact Build Configurations'],
  [
    'arguments.empty',
    'error',
    'An argument with a default is not set to nothing.',
    'Earthly: an empty value replaces a default',
  ],
  ['arguments.invalid-value', 'error', 'The value is one that the argument takes.', 'the table below'],
  [
    'arguments.foreign-target',
    'error',
    'No value makes CanvOS build a target of another repository or directory.',
    'this service',
  ],
  [
    'arguments.image-not-allowed',
    'error',
    'Where the operator lists images (`ALLOWED_IMAGES`), those that arguments lead to are on the list.',
    'this service',
  ],
  [
    'arguments.deprecated',
    'warning',
    'Neither the argument nor its value is deprecated.',
    'Edge Artifact Build Configurations',
  ],
  ['arguments.tech-preview', 'warning', 'The value is no tech preview.', 'Build Installer ISO'],
  [
    'arguments.no-effect',
    'warning; info for other targets',
    'The argument has an effect on this build.',
    'CanvOS Earthfile',
  ],
  [
    'arguments.file-not-sent',
    "error; warning for the Earthfile's own default",
    'A file that an argument names is sent as an input.',
    'CanvOS Earthfile (`COPY --if-exists`)',
  ],
  [
    'arguments.set-by-service',
    'info',
    'For files that are sent, the service sets the argument.',
    'this service',
  ],
  [
    'arguments.invalid-name',
    'error',
    'Names are letters, digits and `_`, and do not begin with a digit.',
    bashAndEarthly,
  ],
  [
    'arguments.reserved-name',
    'error',
    'No variables that the shell sets or obeys itself.',
    'bash manual, “Shell Variables”',
  ],
  [
    'arguments.control-character',
    'error',
    'No line breaks and no control characters but tabs.',
    bashAndEarthly,
  ],
  [
    'arguments.not-expressible',
    'error',
    'Some form of the value is read alike by Earthly and bash.',
    bashAndEarthly,
  ],
]

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('')
}

function argumentRow(definition: ArgumentDefinition): string[] {
  const { name, type, description, since, until, requiredFor, onlyWith, otherTarget } = definition
  const notes = [
    description,
    requiredFor === undefined ? '' : `Required for ${requiredFor.join(', ')}.`,
    onlyWith === undefined ? '' : `Only with \`${onlyWith.name}=${onlyWith.value}\`.`,
    otherTarget === undefined ? '' : `For \`${otherTarget}\`.`,
    definition.deprecated === undefined ? '' : `Deprecated. ${definition.deprecated}`,
    definition.setByInput === undefined ? '' : 'Set by the service.',
  ]
  const versions = [since === undefined ? '' : `v${since}`, until === undefined ? '' : `v${until}`]
  const preset = definition.default === undefined ? '' : `\`${definition.default}\``
  return [
    `<a id="${name.toLowerCase()}"></a>\`${name}\``,
    describeType(type),
    preset,
    ...versions,
    notes.filter(Boolean).join(' '),
    definition.source,
  ]
}

/** The text of `docs/arguments.md`. */
export function argumentDocumentation(): string {
  const between = [...platformRules, ...featureRules].map(({ code, severity, rule, source }): Row => [
    code,
    severity,
    rule,
    source,
  ])
  const ruleHead = ['code', 'severity', 'rule', 'source']
  const inCode = (rows: readonly Row[]) => rows.map(([code, ...rest]) => [`\`${code}\``, ...rest])
  return `# Build arguments

Arguments come in a \`.arg\` file, in the build spec's \`arguments\`, or in both; the spec takes precedence.
This page is generated from the catalogue in \`libs/canvos\`: run \`node libs/canvos/scripts/write-documentation.ts\`.
“Source” names the page of Spectro Cloud's documentation, or the file of CanvOS or EarthBuild, that a rule rests on.

<a id="arg-file"></a>

## The \`.arg\` file

Two programs read the file: Earthly by a dotenv parser, and bash, which runs it. They agree on a part of what either
reads, and that part is what the service takes. The file a build gets is written anew from the names and values.

${table(ruleHead, inCode(syntaxRules))}
<a id="rules"></a>

## Rules

### For each argument

${table(ruleHead, inCode(singleRules))}
### Between arguments

${table(ruleHead, inCode(between))}
## Arguments

Every other \`ARG\` before the first target of a tag's Earthfile can be set, too, with any value. “Since” and “until”
(the first tag without it) apply where that Earthfile does not say otherwise.

${table(['argument', 'values', 'default', 'since', 'until', 'description', 'source'], argumentCatalogue.map(argumentRow))}`
}
