// Reads Kubernetes objects from standard input (a JSON list) and prints what their schemas say against each, in a list.
async function faults(object) {
  let model;
  try {
    // "apps/v1" and "v1" are the folders of the package, too.
    model = (await import(`kubernetes-models/${object.apiVersion}`))[object.kind];
  } catch {
    model = undefined;
  }
  if (!model) return [`there is no ${object.apiVersion} ${object.kind}`];
  try {
    new model(object).validate();
    return [];
  } catch (error) {
    return [error.message];
  }
}

let text = '';
for await (const part of process.stdin) text += part;
const answers = [];
for (const object of JSON.parse(text)) answers.push(await faults(object));
process.stdout.write(JSON.stringify(answers));
