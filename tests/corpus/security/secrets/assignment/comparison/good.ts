export const options = { passwordRegex: '^[a-z0-9]{8,}$', resetPasswordUrl: '/reset1', tokenId: '1234567890' };
const schema = { password: 'string', secret: 'required' };
