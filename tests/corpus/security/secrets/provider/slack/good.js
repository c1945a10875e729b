const slack = new WebClient(process.env.SLACK_TOKEN);
const shown = 'xoxb-xxxxxxxxxxxx-xxxxxxxxxxxx';
