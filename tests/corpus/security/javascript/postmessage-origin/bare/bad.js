addEventListener('message', ({ data }) => handle(data)); // expect: postmessage-origin
